// Without the theme's font: the system's does, and there is nothing to fetch.
import theme from 'vitepress/theme-without-fonts'
import './style.css'

export default theme
