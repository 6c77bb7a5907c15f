"""What keeps AutoGraph away from the functions of this package."""

import tensorflow as tf

# Of a function, and of all that it calls: translating the code takes AutoGraph seconds in each
# process, and nothing in it is other than what Python does.
without_autograph = tf.autograph.experimental.do_not_convert
