"""doctor: whether a lab and the machine are fit, each thing with what mends it. It only reads."""
