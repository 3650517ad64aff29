"""The model of the classifier, as a pure library: text in, prediction out. No I/O beyond files it is told of."""
