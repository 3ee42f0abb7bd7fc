/** Scores of a model on texts and tasks. */
package panamoe.eval;
