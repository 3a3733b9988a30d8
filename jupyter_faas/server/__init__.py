"""What the Jupyter server runs for the lab panel."""
