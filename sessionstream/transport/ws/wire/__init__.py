"""What the server and the client share: codes, frame fields, budget, sub-protocol, heartbeat and clock."""
