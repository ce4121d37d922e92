"""What git's hooks ask: whether something that is about to be committed or pushed may be. It only reads."""
