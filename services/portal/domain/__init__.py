"""What the portal knows: complaints as people see them, what a filled form means, what the pages say. Pure."""
