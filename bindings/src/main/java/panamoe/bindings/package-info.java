/** The C ABI as jextract sees it, and the loaders of native libraries. */
package panamoe.bindings;
