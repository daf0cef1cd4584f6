"""How it is fitted: a problem evaluates batches of points, a fitter chooses them."""
