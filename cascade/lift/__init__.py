"""What each stage of a cascade earns, from what people click: sums of constant size, and what they tell.

A logged page shows items at places 1 to K, with the score that every stage gave them. By the position-based
model P(click) = θ_place · α_item, a click at place k is worth θ_r / θ_k clicks where another order has the
item at r (Joachims et al., "Unbiased Learning-to-Rank with Biased Feedback", WSDM 2017). With the order after
a stage and the one before it, the difference is the stage's lift, in clicks a page:

    lift_i = 1/pages Σ_pages Σ_items click · (θ_{r_i} - θ_{r_{i-1}}) / θ_k

It supposes that clicks follow the model, that θ is known, and speaks of the order of what pages showed: which
candidates a stage let through to them it does not see.
"""
