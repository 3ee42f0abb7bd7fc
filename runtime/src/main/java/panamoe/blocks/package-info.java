/**
 * Numbers in blocks of a row that share scales: a class for each format, with its names in files,
 * its sizes, and the decoding and making of its blocks. docs/add-a-format.md tells how to add one.
 */
package panamoe.blocks;
