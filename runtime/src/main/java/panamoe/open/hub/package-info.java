/** Models by name: the Hugging Face hub and its cache of downloads. */
package panamoe.open.hub;
