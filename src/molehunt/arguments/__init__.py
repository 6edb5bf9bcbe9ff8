"""What each command takes: `common` has what several share; each file adds its commands."""
