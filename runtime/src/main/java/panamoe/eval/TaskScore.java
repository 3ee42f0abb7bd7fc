package panamoe.eval;

/**
 * The score of all tasks of one kind.
 *
 * @param plain accuracy by the likelihood of the whole answer
 * @param perByte accuracy by the likelihood per byte, which does not favour short choices; null for
 *     last words, which are not compared
 * @param logLikelihood of the right answer in nats, mean over the tasks
 */
public record TaskScore(Accuracy plain, Accuracy perByte, double logLikelihood) {}
