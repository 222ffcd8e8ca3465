"""What the differ does: for a question about repositories, a requested scan, and a scan whose state changed."""
