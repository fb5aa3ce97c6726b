"""The checks before `azd up`, one module for each place that may say no."""
