"""Commands in, ordered events, durable timelines, live UI events out."""
