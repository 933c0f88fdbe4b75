-- The form of the keys that this version of the functions writes. Raise it with every change of a
-- record's form; the version before must still be able to read what this one writes.
local SCHEMA = 1
