/** The regular expressions by which tokenizers split text. */
package panamoe.data.regex;
