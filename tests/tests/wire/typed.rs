//! The typed client against what is frozen: it sends these requests and understands these answers.
