// The scores of Sphinx's own search, and more for a page or a section whose title has all words that were searched for.
"use strict";

const searchedFor = (new URLSearchParams(window.location.search).get("q") || "").toLowerCase().match(/\w+/g) || [];

var Scorer = {
  score: ([, title, , , score, , kind]) =>
    kind !== "object" && searchedFor.every((word) => title.toLowerCase().includes(word)) ? score + 30 : score,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
