/** Replies: thoughts, content and calls in a model's completion. Each syntax has its own file. */
package panamoe.conversation.reply;
