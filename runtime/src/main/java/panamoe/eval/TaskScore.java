package panamoe.eval;

/**
 * The score of all tasks of one kind.
 *
 * @param plain accuracy by the likelihood of the whole answer; of written answers exact matches
 * @param perByte accuracy by the likelihood per byte, which does not favour short choices; null for
 *     other kinds, whose answers are not compared
 * @param f1 of written answers, 0 to 1; null for other kinds
 * @param logLikelihood of the right answer in nats, of several the first
 */
public record TaskScore(Accuracy plain, Accuracy perByte, Mean f1, Mean logLikelihood) {}
