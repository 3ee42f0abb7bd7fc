package panamoe.text;

/**
 * A text as a vector.
 *
 * @param vector the caller's own
 * @param tokens that were read: of the text, its prompt, and those around them
 */
public record Embedding(float[] vector, int tokens) {}
