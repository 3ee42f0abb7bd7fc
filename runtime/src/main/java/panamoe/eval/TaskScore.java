package panamoe.eval;

/**
 * The answers to all tasks of one kind.
 *
 * @param plain by the likelihood of the whole answer
 * @param perByte by the likelihood per byte, which does not favour short choices; null for last
 *     words, of which none is compared
 * @param logLikelihood of the right answer in nats, mean over the tasks
 */
public record TaskScore(Accuracy plain, Accuracy perByte, double logLikelihood) {}
