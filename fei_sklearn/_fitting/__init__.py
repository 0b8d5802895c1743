"""Around a fit: rollback after a failure, callbacks, printed lines, the warning of collapse."""
