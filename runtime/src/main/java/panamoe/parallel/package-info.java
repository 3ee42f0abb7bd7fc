/** Ranks in groups: data, expert and tensor parallelism. */
package panamoe.parallel;
