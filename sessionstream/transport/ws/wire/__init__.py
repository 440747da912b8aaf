"""What server and client both know: codes, fields, the budget, the sub-protocol, heartbeats and time."""
