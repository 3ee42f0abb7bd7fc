/** Vectors of texts, and scores of documents for a query, by the rows of a model's prompts. */
package panamoe.retrieval;
