-- A companion that is moved and dropped with its row and has nothing else to do.
companion_kinds.kept = {}
