"""What is measured of a cell's answers beside the evaluator's own metrics, and the table of answers."""
