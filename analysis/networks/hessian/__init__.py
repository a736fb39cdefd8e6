"""The losses whose Hessian is asked for, and the parameters it is of."""
