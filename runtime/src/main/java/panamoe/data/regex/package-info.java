/** The regular expressions that tokenizers split text by. */
package panamoe.data.regex;
