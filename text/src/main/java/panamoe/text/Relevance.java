package panamoe.text;

/**
 * How well a document answers a query.
 *
 * @param score 0 to 1, more is better
 * @param tokens that were read: of the document, the query, and the model's form
 */
public record Relevance(double score, int tokens) {}
