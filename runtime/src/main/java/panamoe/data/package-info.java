/** Text as tokens, and batches of them. */
package panamoe.data;
