/**
 * Numbers in blocks of a row that share scales: a class for each format, with its names in files,
 * its sizes, and how its blocks are decoded and made. docs/add-a-format.md says what a further one
 * takes.
 */
package panamoe.blocks;
