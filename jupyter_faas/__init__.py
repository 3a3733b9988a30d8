"""Serverless functions for people who live in Jupyter."""
