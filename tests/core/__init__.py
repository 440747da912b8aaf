"""Tests of the modules below the hub, one file for each module."""
