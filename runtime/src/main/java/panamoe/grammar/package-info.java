/** What a model may write, by a JSON schema. */
package panamoe.grammar;
