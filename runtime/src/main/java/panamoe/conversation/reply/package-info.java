/** What a model answers, from its text back to thoughts, content and calls: a file a syntax. */
package panamoe.conversation.reply;
