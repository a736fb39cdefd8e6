"""What a text says about the inputs and the gradients of a model's layers."""
