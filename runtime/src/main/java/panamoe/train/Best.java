package panamoe.train;

/**
 * The best validation of a run.
 *
 * @param score its criterion
 * @param worse validations after it, none of which was better
 */
record Best(long step, double score, int worse) {
  static Best first(Validation.Score score, long step) {
    return new Best(step, score.criterion(), 0);
  }

  /** With a further validation. */
  Best after(Validation.Score next, long atStep) {
    return next.criterion() < score ? first(next, atStep) : new Best(step, score, worse + 1);
  }
}
