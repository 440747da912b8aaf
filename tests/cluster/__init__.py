"""The chat on several nodes: web servers on one PostgreSQL, behind a balancer, and what may happen to them.

``python -m tests.cluster`` (`make demo-cluster`) shows it; ``test_chaos`` breaks it at random.
"""
