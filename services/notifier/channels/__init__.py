"""One adapter per channel, all behind `Channel`."""
