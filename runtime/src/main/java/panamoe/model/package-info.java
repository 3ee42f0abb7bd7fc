/** Whole language models. */
package panamoe.model;
