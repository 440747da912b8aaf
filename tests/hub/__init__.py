"""Tests of the hub, one file for each subject."""
