"""What is measured: metrics of a response, and the losses that judge them."""
