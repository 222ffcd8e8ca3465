"""What every process needs to live: settings, signals, health."""
