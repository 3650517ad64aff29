"""The reference client of an administration: reads its inbox and rejections, keeps its place, and replies."""
