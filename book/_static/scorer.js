// What a search puts first: chapters and their formulas, then the core's functions, then helpers.
var Scorer = {
  score: ([docname, , anchor, , score]) => {
    if (docname.startsWith("book/part-")) return score + (anchor ? 12 : 20);
    if (docname === "book/reference/formulas" || docname === "book/reference/notation") return score + 8;
    if (docname === "book/reference/api/core") return score + 4;
    if (docname.startsWith("book/reference/")) return score - 8;
    return score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
