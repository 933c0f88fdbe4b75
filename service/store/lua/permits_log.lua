-- What a step takes back and what it gives out, for whoever measures. Nothing in the product: a
-- benchmark loads another text in place of this one.
local function note(step, what, permit) end
